// SPDX-License-Identifier: MIT
#include "preload/tls/describe.h"

#include <gnutls/x509.h>
#include <stdio.h>

#define DN_SIZE 200 // of a subject or issuer, as shown

static void read_names(gnutls_session_t session, char *peer, char *issuer)
{
	unsigned count = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
	gnutls_x509_crt_t leaf;
	size_t size = DN_SIZE;

	peer[0] = issuer[0] = '\0';
	if (!chain || count == 0 || gnutls_x509_crt_init(&leaf) < 0)
		return;
	if (gnutls_x509_crt_import(leaf, &chain[0], GNUTLS_X509_FMT_DER) == 0) {
		if (gnutls_x509_crt_get_dn(leaf, peer, &size) < 0)
			peer[0] = '\0';
		size = DN_SIZE;
		if (gnutls_x509_crt_get_issuer_dn(leaf, issuer, &size) < 0)
			issuer[0] = '\0';
	}
	gnutls_x509_crt_deinit(leaf);
}

static const char *or_none(const char *text)
{
	return text ? text : "none";
}

void describe_session(const struct channel *channel, char *text, size_t size)
{
	gnutls_session_t session = channel->session;
	const struct trust *trust = channel->trust;
	char peer[DN_SIZE], issuer[DN_SIZE], target[NAME_SIZE];
	gnutls_datum_t protocol = {0};

	(void)gnutls_alpn_get_selected_protocol(session, &protocol);
	read_names(session, peer, issuer);
	snprintf(text, size,
		"version %s; cipher %s; group %s; alpn %.*s; peer %s; issuer %s; "
		"verified as %s against %d anchors of %s%s%s",
		or_none(gnutls_protocol_get_name(gnutls_protocol_get_version(session))),
		or_none(gnutls_cipher_get_name(gnutls_cipher_get(session))),
		or_none(gnutls_group_get_name(gnutls_group_get(session))),
		protocol.size ? (int)protocol.size : 4,
		protocol.size ? (const char *)protocol.data : "none", peer, issuer,
		verify_target_format(&channel->target, target), trust->anchor_count, trust->anchors,
		trust->pin_count ? ", public key pinned" : "",
		gnutls_session_is_resumed(session) ? ", session resumed" : "");
}

void describe_plain(bool is_passed_through, char *text, size_t size)
{
	snprintf(text, size, "%s",
		is_passed_through ? "the program's own TLS, passed through"
				  : "tls=auto: the program's first bytes will decide");
}
