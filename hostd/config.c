// SPDX-License-Identifier: MIT
// The life of a configuration: made with the defaults, filled by hostd/config_parse.c, shared by
// counting references, freed with the last one.
#include "hostd/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostd/config_build.h"
#include "wire/conf_file.h"

struct shared_config {
	struct config config; // first: the two have one address
	atomic_uint references;
};

static void free_enclave(struct enclave *enclave)
{
	for (size_t i = 0; i < enclave->rule_count; i++)
		free(enclave->rules[i].to);
	free(enclave->rules);
	free(enclave->cids);
}

static void free_config(struct config *config)
{
	for (size_t i = 0; i < config->enclave_count; i++)
		free_enclave(&config->enclaves[i]);
	free(config->enclaves);
	free(config->listens);
	free(config);
}

struct config *config_parse(const char *text, size_t length, struct conf_error *error)
{
	struct shared_config *shared = calloc(1, sizeof(*shared));
	if (!shared) {
		*error = (struct conf_error){.line = 1, .column = 1};
		snprintf(error->reason, sizeof(error->reason), "out of memory");
		return NULL;
	}
	struct config *config = &shared->config;
	atomic_init(&shared->references, 1);
	config->header_timeout = 5000;
	config->dial_timeout = 10000;
	config->idle_timeout = 3600000;
	config->drain_timeout = 30000;
	config->log_level = LOG_LEVEL_INFO;
	if (config_read_text(config, text, length, error))
		return config;
	free_config(config);
	return NULL;
}

struct config *config_load(const char *path, char *message, size_t size)
{
	struct config *config = NULL;
	char *text = malloc(CONF_FILE_MAX + 1);
	int fd = text ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t length = fd < 0 ? -errno : conf_file_read(fd, text, CONF_FILE_MAX + 1);
	if (fd >= 0)
		close(fd);
	if (length < 0) {
		snprintf(message, size, "%s: %s", path, strerror((int)-length));
	} else {
		struct conf_error error;
		config = config_parse(text, (size_t)length, &error);
		if (!config)
			conf_error_format(&error, path, message, size);
	}
	free(text);
	return config;
}

struct config *config_hold(struct config *config)
{
	struct shared_config *shared = (struct shared_config *)config;
	atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
	return config;
}

void config_release(struct config *config)
{
	struct shared_config *shared = (struct shared_config *)config;
	if (config && atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1)
		free_config(config);
}

const struct enclave *config_find_enclave(const struct config *config, uint32_t cid)
{
	for (size_t e = 0; e < config->enclave_count; e++) {
		const struct enclave *enclave = &config->enclaves[e];
		for (size_t i = 0; i < enclave->cid_count; i++) {
			if (enclave->cids[i] == cid)
				return enclave;
		}
	}
	return NULL;
}
