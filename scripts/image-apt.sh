#!/bin/sh
# SPDX-License-Identifier: MIT
# Sourced by the scripts that make the enclave image's base: an apt that knows Debian 12 and nothing
# else of this machine: no package states, preferences, lists or sources of it.

# DIRECTORY -> APT_CONFIG is exported; lists and archives live in DIRECTORY. The mirror is
# $DEBIAN_MIRROR, else the one that this machine's apt uses; the security archive likewise.
image_apt_configure() {
	apt_directory=$(realpath -m "$1")
	mkdir -p "$apt_directory/lists/partial" "$apt_directory/archives/partial"
	: >"$apt_directory/status"
	: >"$apt_directory/sources.list"
	image_apt_add_source bookworm "${DEBIAN_MIRROR-}" >>"$apt_directory/sources.list"
	image_apt_add_source bookworm-security "${DEBIAN_SECURITY_MIRROR-}" >>"$apt_directory/sources.list"
	cat >"$apt_directory/apt.conf" <<END
Dir::Etc::sourcelist "$apt_directory/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$apt_directory/lists";
Dir::State::status "$apt_directory/status";
Dir::Cache "$apt_directory";
Dir::Log "$apt_directory";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Install-Recommends "false";
APT::Sandbox::User "$(id -un)";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
END
	export APT_CONFIG="$apt_directory/apt.conf"
}

# SUITE MIRROR, an empty MIRROR meaning the machine's own.
image_apt_add_source() {
	mirror=$2
	# shellcheck disable=SC2016 # apt's own words
	[ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' \
		'Created-By: Packages' | sed -n "s/^$1 //p" | head -n 1)
	if [ -z "$mirror" ]; then
		echo "$0: this machine's apt has no mirror of $1: name one in DEBIAN_MIRROR and" \
			"DEBIAN_SECURITY_MIRROR" >&2
		return 1
	fi
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main"
}
