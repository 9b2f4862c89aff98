# SPDX-License-Identifier: MIT
"""Certificates, good ones and every kind of bad one, issued by openssl's `ca` command.

	pki = Pki(directory)
	good = pki.root.issue("good.test")                     # .chain and .key for the server, .pin
	old = pki.root.issue("old.test", begin=-20, end=-10)   # days from now
	pki.root.ca                                            # what a client trusts
"""
import base64
import dataclasses
import hashlib
import ipaddress
import pathlib
import subprocess
import time

DAY = 86400
KEYS = {
	"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
	"rsa:1024": ["-newkey", "rsa:1024"],
	"rsa:2048": ["-newkey", "rsa:2048"],
}
# Everything that `openssl ca` insists to be told.
CONFIGURATION = """
[ca]
default_ca = issuer
[issuer]
database = {directory}/index
new_certs_dir = {directory}
rand_serial = yes
unique_subject = no
policy = anything
[anything]
commonName = optional
"""


def _openssl(*words, data=None):
	result = subprocess.run(["openssl", *map(str, words)], input=data, capture_output=True)
	assert result.returncode == 0, result.stderr.decode()
	return result.stdout


def _moment(days):
	"""Days from now as openssl writes a time (RFC 5280, 4.1.2.5.2)."""
	return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY))


def _alternative(name):
	try:
		return f"IP:{ipaddress.ip_address(name)}"
	except ValueError:
		return f"DNS:{name}"


@dataclasses.dataclass(frozen=True)
class Certificate:
	chain: str  # the certificate, then what the server sends along
	key: str

	@property
	def pin(self):
		"""sha256/BASE64 of the SubjectPublicKeyInfo, as routes write it."""
		public = _openssl("x509", "-in", self.chain, "-noout", "-pubkey")
		digest = hashlib.sha256(_openssl("pkey", "-pubin", "-outform", "der", data=public)).digest()
		return "sha256/" + base64.b64encode(digest).decode()


class Issuer:
	"""A CA: .ca is its own certificate. One with a parent is an intermediate."""

	def __init__(self, directory, name, parent=None):
		self._directory, self._count = pathlib.Path(directory), 0
		self._directory.mkdir()
		self._directory.chmod(0o755)
		(self._directory / "index").touch()
		self._configuration = self._directory / "openssl.cnf"
		self._configuration.write_text(CONFIGURATION.format(directory=self._directory))
		if parent:
			own = parent.issue(subject=name, usage=None)
			self.ca, self.key = own.chain, own.key
		else:
			self.ca, self.key = str(self._directory / "ca.pem"), str(self._directory / "ca.key")
			_openssl("req", "-x509", *KEYS["ec"], "-noenc", "-keyout", self.key, "-out", self.ca,
				"-days", "5", "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
				"-addext", "keyUsage=critical,keyCertSign,cRLSign")

	def issue(self, *names, subject="", begin=-1.0, end=2.0, key="ec", digest="sha256",
			usage="serverAuth", send_along=()):
		"""A certificate for names and addresses. usage None makes it a CA's; send_along: issuers whose
		certificates the server sends too."""
		self._count += 1
		base = f"{self._directory}/{self._count}"
		request, key_file, file, extensions = (f"{base}.{end}" for end in ("csr", "key", "pem", "ext"))
		lines = ["basicConstraints=critical,CA:" + ("FALSE" if usage else "TRUE")]
		lines += [f"extendedKeyUsage={usage}"] if usage else ["keyUsage=critical,keyCertSign,cRLSign"]
		if names:
			lines.append("subjectAltName=" + ",".join(map(_alternative, names)))
		pathlib.Path(extensions).write_text("\n".join(lines) + "\n")
		_openssl("req", *KEYS[key], "-noenc", "-keyout", key_file, "-out", request,
			"-subj", f"/CN={subject or (names or ['nameless'])[0]}")
		_openssl("ca", "-batch", "-notext", "-config", self._configuration, "-cert", self.ca,
			"-keyfile", self.key, "-md", digest, "-startdate", _moment(begin), "-enddate", _moment(end),
			"-extfile", extensions, "-in", request, "-out", file)
		with open(file, "a", encoding="ascii") as chain:
			chain.writelines(pathlib.Path(issuer.ca).read_text() for issuer in send_along)
		return Certificate(file, key_file)


	def answer_about(self, certificate, revoked=False):
		"""A file that a server may staple: the issuer's answer to "is it revoked?" (RFC 6960)."""
		leaf, request = certificate.chain, certificate.chain + ".ask"
		answer = f"{certificate.chain}.{'revoked' if revoked else 'good'}"
		if revoked:
			_openssl("ca", "-config", self._configuration, "-cert", self.ca, "-keyfile", self.key, "-md", "sha256",
				"-revoke", leaf)
		_openssl("ocsp", "-issuer", self.ca, "-cert", leaf, "-reqout", request)
		_openssl("ocsp", "-index", self._directory / "index", "-CA", self.ca, "-rsigner", self.ca, "-rkey", self.key,
			"-reqin", request, "-respout", answer, "-ndays", 1)
		return answer


class Pki:
	"""root: what the tests trust. intermediate: under it. stranger: what nobody trusts."""

	def __init__(self, directory):
		self.directory = pathlib.Path(directory)
		self.directory.mkdir()
		self.directory.chmod(0o755)
		self.root = Issuer(self.directory / "root", "Test root")
		self.intermediate = Issuer(self.directory / "intermediate", "Test intermediate", self.root)
		self.stranger = Issuer(self.directory / "stranger", "Stranger")
		self.empty = str(self.directory / "empty.pem")
		pathlib.Path(self.empty).touch()

	@property
	def ca(self):
		return self.root.ca

	def self_signed(self, name):
		base = self.directory / "self-signed"
		_openssl("req", "-x509", *KEYS["ec"], "-noenc", "-keyout", f"{base}.key", "-out", f"{base}.pem",
			"-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
			"-addext", "basicConstraints=critical,CA:FALSE")
		return Certificate(f"{base}.pem", f"{base}.key")
