// SPDX-License-Identifier: MIT
#include "wire/endpoint.h"

#include <stdio.h>
#include <string.h>

#include <linux/vm_sockets.h>

// VMADDR_CID_ANY and VMADDR_PORT_ANY are the highest 32-bit number and never a real one.
#define HIGHEST_CID  (VMADDR_CID_ANY - 1)
#define HIGHEST_PORT (VMADDR_PORT_ANY - 1)

static const struct {
	const char *word;
	uint32_t cid;
} cid_words[] = {
	{"parent", 3}, // the parent instance of a Nitro enclave
	{"host", VMADDR_CID_HOST},
	{"local", VMADDR_CID_LOCAL},
	{"any", VMADDR_CID_ANY},
};

static bool parse_cid(const char *text, size_t length, bool may_be_any, uint32_t *cid)
{
	unsigned long number;

	for (size_t i = 0; i < ARRAY_SIZE(cid_words); i++) {
		if (strlen(cid_words[i].word) != length ||
			memcmp(text, cid_words[i].word, length) != 0)
			continue;
		*cid = cid_words[i].cid;
		return may_be_any || *cid != VMADDR_CID_ANY;
	}
	if (!parse_number(text, length, HIGHEST_CID, &number))
		return false;
	*cid = (uint32_t)number;
	return true;
}

static bool parse_port(const char *text, size_t length, uint32_t *port)
{
	unsigned long number;

	if (!parse_number(text, length, HIGHEST_PORT, &number) || number == 0)
		return false;
	*port = (uint32_t)number;
	return true;
}

static bool parse_ports(const char *text, size_t length, size_t offset, struct endpoint *endpoint,
	struct parse_error *error)
{
	const char *dash = length ? memchr(text, '-', length) : NULL;
	size_t first_length = dash ? (size_t)(dash - text) : length;
	size_t last_offset = dash ? first_length + 1 : 0;

	if (!parse_port(text, first_length, &endpoint->port_first))
		return parse_fail(error, offset, "not a vsock port");
	if (!parse_port(text + last_offset, length - last_offset, &endpoint->port_last) ||
		endpoint->port_last < endpoint->port_first)
		return parse_fail(error, offset + last_offset, "not a vsock port after the first");
	if (endpoint->port_last - endpoint->port_first >= ENDPOINT_MAX_PORTS)
		return parse_fail(error, offset, "more than %d ports", ENDPOINT_MAX_PORTS);
	return true;
}

static bool parse_vsock(const char *text, size_t length, size_t offset, bool may_be_any,
	struct endpoint *endpoint, struct parse_error *error)
{
	const char *colon = length ? memchr(text, ':', length) : NULL;

	endpoint->transport = ENDPOINT_VSOCK;
	if (!colon)
		return parse_fail(error, offset, "vsock needs CID:PORT");
	size_t cid_length = (size_t)(colon - text);
	if (!parse_cid(text, cid_length, may_be_any, &endpoint->cid))
		return parse_fail(error, offset, "not a CID: a number, parent, host, local%s",
			may_be_any ? ", any" : "");
	return parse_ports(
		colon + 1, length - cid_length - 1, offset + cid_length + 1, endpoint, error);
}

static bool parse_unix(const char *text, size_t length, size_t offset, struct endpoint *endpoint,
	struct parse_error *error)
{
	bool is_abstract = length > 0 && text[0] == '@';

	endpoint->transport = ENDPOINT_UNIX;
	if (length == (is_abstract ? 1 : 0))
		return parse_fail(error, offset, "unix needs a path or @NAME");
	if (length >= sizeof(endpoint->path))
		return parse_fail(error, offset + sizeof(endpoint->path) - 1,
			"a path over %zu bytes", sizeof(endpoint->path) - 1);
	if (memchr(text, '\0', length))
		return parse_fail(error, offset, "a NUL byte in the path");
	memcpy(endpoint->path, text, length);
	if (is_abstract)
		endpoint->path[0] = '\0';
	endpoint->path_length = length;
	return true;
}

bool endpoint_parse(const char *text, size_t length, bool may_be_any, struct endpoint *endpoint,
	struct parse_error *error)
{
	static const char vsock[] = "vsock:", unix_[] = "unix:";
	size_t vsock_length = sizeof(vsock) - 1, unix_length = sizeof(unix_) - 1;

	memset(endpoint, 0, sizeof(*endpoint));
	if (length >= vsock_length && memcmp(text, vsock, vsock_length) == 0)
		return parse_vsock(text + vsock_length, length - vsock_length, vsock_length,
			may_be_any, endpoint, error);
	if (length >= unix_length && memcmp(text, unix_, unix_length) == 0)
		return parse_unix(
			text + unix_length, length - unix_length, unix_length, endpoint, error);
	return parse_fail(error, 0, "not vsock:CID:PORT, unix:PATH or unix:@NAME");
}

static void format_vsock(const struct endpoint *endpoint, char *text, size_t size)
{
	char cid[16], last[16] = "";

	snprintf(cid, sizeof(cid), "%u", endpoint->cid);
	if (endpoint->port_last != endpoint->port_first)
		snprintf(last, sizeof(last), "-%u", endpoint->port_last);
	snprintf(text, size, "vsock:%s:%u%s", endpoint->cid == VMADDR_CID_ANY ? "any" : cid,
		endpoint->port_first, last);
}

const char *endpoint_format(const struct endpoint *endpoint, char text[static ENDPOINT_TEXT_SIZE])
{
	if (endpoint->transport == ENDPOINT_VSOCK) {
		format_vsock(endpoint, text, ENDPOINT_TEXT_SIZE);
		return text;
	}
	bool is_abstract = endpoint->path[0] == '\0';
	snprintf(text, ENDPOINT_TEXT_SIZE, "unix:%s%.*s", is_abstract ? "@" : "",
		(int)(endpoint->path_length - is_abstract), endpoint->path + is_abstract);
	return text;
}

uint32_t endpoint_count(const struct endpoint *endpoint)
{
	return endpoint->transport == ENDPOINT_VSOCK
		       ? endpoint->port_last - endpoint->port_first + 1
		       : 1;
}

static socklen_t to_sockaddr_un(const struct endpoint *endpoint, struct sockaddr_un *address)
{
	socklen_t header = offsetof(struct sockaddr_un, sun_path);
	bool is_abstract = endpoint->path[0] == '\0';

	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, endpoint->path, endpoint->path_length);
	// unix(7): a path counts its NUL; every byte of an abstract name is significant.
	return header + (socklen_t)endpoint->path_length + (is_abstract ? 0 : 1);
}

socklen_t endpoint_to_sockaddr(
	const struct endpoint *endpoint, uint32_t index, struct sockaddr_storage *storage)
{
	memset(storage, 0, sizeof(*storage));
	if (endpoint->transport == ENDPOINT_UNIX)
		return to_sockaddr_un(endpoint, (struct sockaddr_un *)storage);
	struct sockaddr_vm *address = (struct sockaddr_vm *)storage;
	address->svm_family = AF_VSOCK;
	address->svm_cid = endpoint->cid;
	address->svm_port = endpoint->port_first + index;
	return sizeof(*address);
}
