# SPDX-License-Identifier: MIT
"""What a guest boots from, made of this machine's own files.

root.img      an ext4 file system with Debian packages as they are installed here, and all they depend on
project.img   another with the project: the build, the tests
initrd.img    busybox, and the modules of a kernel that are needed to mount these and to have vsock

Nothing is installed or fetched, and root is not needed: mke2fs(8) copies a directory into a new file
system without mounting it. root.img is made again only when an installed version changed.
"""
import gzip
import hashlib
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]

# Programs that the tests run; a package that is not installed leaves out the tests that need it.
PACKAGES = """bash busybox coreutils curl dash findutils git grep hostname iproute2 libc-bin libcap2-bin mawk mount
	netcat-openbsd nginx-light openssh-client openssh-server openssl perl-base procps python3 python3-cbor2
	python3-cryptography python3-pycurl python3-pytest redis-server redis-tools sed socat strace util-linux
	wget""".split()
# Nobody reads there.
UNREAD = re.compile(r"/usr/share/(doc|man|info|locale|lintian|bug|zoneinfo|icons|perl/5[.0-9]*/unicore)/|/usr/lib/udev/")
MODULES = ["virtio_mmio", "virtio_pci", "virtio_blk", "vsock", "vsock_loopback", "vsock_diag", "vsockmon", "nsm"]
SPARE = 64 << 20  # for what the tests write


def output_of(*command):
	return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# --- packages

def installed_packages():
	"""{package: (version, [[alternative, ...], ...])}, and {virtual package: package}."""
	packages, provided = {}, {}
	fields = ["Package", "db:Status-Status", "Version", "Pre-Depends", "Depends", "Provides"]
	for line in output_of("dpkg-query", "-W", "-f", "\t".join("${%s}" % field for field in fields) + "\n").splitlines():
		name, status, version, *depends, provides = line.split("\t")
		if status != "installed":
			continue
		names = lambda text, separator: [re.split(r"[ :(]", word.strip())[0] for word in text.split(separator) if word.strip()]
		packages[name] = version, [names(group, "|") for text in depends for group in text.split(",") if group.strip()]
		provided.update((virtual, name) for virtual in names(provides, ","))
	return packages, provided


def closure(wanted):
	"""{package: version} of those that are installed, with all they depend on."""
	packages, provided = installed_packages()
	found, waiting = {}, [name for name in wanted if name in packages]
	while waiting:
		name = waiting.pop()
		if name in found:
			continue
		found[name], groups = packages[name]
		for alternatives in groups:
			names = [packages.get(each) and each or provided.get(each) for each in alternatives]
			waiting += [each for each in names if each][:1]
	return found


# --- file systems

class Tree:
	"""A directory that becomes a file system."""

	def __init__(self, place):
		self.place = pathlib.Path(place)

	def add(self, path, to=None):
		"""One file or link of this machine; by its real folder, since /lib and the like are links."""
		source = pathlib.Path(path)
		if to is None:
			to = pathlib.Path(os.path.realpath(source.parent), source.name)
		target = self.place / str(to).lstrip("/")
		if os.path.lexists(target) or not os.path.lexists(source):
			return
		if source.is_dir() and not source.is_symlink():
			target.mkdir(parents=True, exist_ok=True)
			return
		if not source.is_symlink() and not os.access(source, os.R_OK):
			return
		target.parent.mkdir(parents=True, exist_ok=True)
		shutil.copy2(source, target, follow_symlinks=False)

	def add_library(self, path):
		"""A shared object under the name that it is looked for, and the file behind that."""
		self.add(path)
		self.add(os.path.realpath(path))

	def make_image(self, image, label):
		blocks = sum(-(-file.lstat().st_size // 4096) + 1 for file in self.place.rglob("*"))
		size = (int(blocks * 4096 * 1.1) + SPARE) >> 20 << 20
		partial = image.with_suffix(".partial")
		partial.unlink(missing_ok=True)
		with open(partial, "wb") as file:
			file.truncate(size)
		output_of("/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-L", label, "-E", "root_owner=0:0",
			"-d", str(self.place), str(partial))
		partial.rename(image)


def libraries_of(*programs):
	found = set()
	for program in programs:
		found.update(re.findall(r"(/\S+) \(0x", output_of("ldd", str(program))))
	return found


def add_package(tree, name):
	for path in output_of("dpkg", "-L", name).splitlines():
		if not path.startswith("/") or UNREAD.match(path + "/"):
			continue
		tree.add(path)
		# Compiled when the package was installed.
		if path.endswith(".py"):
			for compiled in pathlib.Path(path).parent.glob(f"__pycache__/{pathlib.Path(path).stem}.*.pyc"):
				tree.add(compiled)


def make_root(image, libraries):
	"""Returns at once when an image of the same packages is there."""
	packages = closure(PACKAGES)
	about = "\n".join(f"{name} {packages[name]}" for name in sorted(packages)) + "\n" + "\n".join(sorted(libraries))
	about += "\n" + hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest() + "\n"
	note = image.with_suffix(".packages")
	if image.exists() and note.exists() and note.read_text() == about:
		return
	with tempfile.TemporaryDirectory(dir=image.parent) as place:
		tree = Tree(place)
		for link in ("bin", "sbin", "lib", "lib64"):
			(tree.place / link).symlink_to(f"usr/{link}")
		for folder in ("dev", "proc", "run", "sys", "tmp", "root", "mnt", "airlock", "var/tmp", "var/log", "etc", "usr/local/bin"):
			(tree.place / folder).mkdir(parents=True, exist_ok=True)
		for name in packages:
			add_package(tree, name)
		for library in libraries:
			tree.add_library(library)
		# Links that update-alternatives(1) made.
		for link in pathlib.Path("/usr/bin").iterdir():
			if link.is_symlink() and os.readlink(link).startswith("/etc/alternatives/"):
				target = os.path.realpath(link)
				if (tree.place / target.lstrip("/")).exists():
					tree.add(f"/etc/alternatives/{os.path.basename(os.readlink(link))}")
					tree.add(link)
		for path in ("/etc/passwd", "/etc/group"):
			tree.add(path)
		(tree.place / "etc/hostname").write_text("guest\n")
		for name in ("resolv.conf", "hosts", "nsswitch.conf"):
			(tree.place / "etc" / name).touch()
		output_of("/sbin/ldconfig", "-r", str(tree.place))
		tree.make_image(image, "guest")
	note.write_text(about)


def make_project(image, build):
	"""The build tree is `build` in the guest, wherever it is here."""
	with tempfile.TemporaryDirectory(dir=image.parent) as place:
		tree = Tree(place)
		for path in output_of("git", "-C", str(TOP), "ls-files", "--cached", "--others", "--exclude-standard",
				"tests", "demo", "man", "VERSION").splitlines():
			tree.add(TOP / path, path)
		for folder in ("bin", "lib", "test/behaviour", "test/system", "test/vm"):
			for file in (build / folder).glob("*"):
				tree.add(file, f"build/{folder}/{file.name}")
		subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", "-s", place, "-p", "/airlock", str(tree.place / "tests")],
			check=True)
		tree.make_image(image, "project")


# --- the initial RAM disk

def fetch_kernel(version, images):
	"""The folder of that kernel, as scripts/fetch-kernel leaves it."""
	kernel = pathlib.Path(os.environ.get("AIRLOCK_KERNELS", images)) / f"linux-{version}"
	subprocess.run([TOP / "scripts/fetch-kernel", version, kernel], check=True)
	return kernel


def module_files(kernel):
	"""{name as the kernel says it: file}"""
	return {file.name.split(".ko")[0].replace("-", "_"): file for file in kernel.glob("lib/modules/*/kernel/**/*.ko*")}


def read_module(file):
	data = file.read_bytes()
	return {".xz": lzma.decompress, ".gz": gzip.decompress}.get(file.suffix, bytes)(data)


def modules_in_order(kernel):
	"""(name, ELF bytes) of MODULES, each after those that it depends on (its .modinfo says). What a kernel
	has built in or lacks is left out."""
	files, loaded = module_files(kernel), {}

	def visit(name):
		if name in loaded or name not in files:
			return
		content = read_module(files[name])
		depends = re.search(rb"\0depends=([^\0]*)\0", content)
		for other in depends[1].decode().split(",") if depends else []:
			visit(other.replace("-", "_"))
		loaded[name] = content

	for name in MODULES:
		visit(name)
	return loaded.items()


def make_initrd(image, kernel):
	with tempfile.TemporaryDirectory(dir=image.parent) as place:
		tree = Tree(place)
		busybox = shutil.which("busybox")
		tree.add(busybox, "bin/busybox")
		for library in libraries_of(busybox):
			tree.add(os.path.realpath(library), library)
		tree.add(TOP / "tests/vm/init", "init")
		for folder in ("dev", "proc", "root"):
			(tree.place / folder).mkdir()
		(tree.place / "modules").mkdir()
		for number, (name, content) in enumerate(modules_in_order(kernel)):
			(tree.place / f"modules/{number:02d}-{name}.ko").write_bytes(content)
		names = "".join(f"{path.relative_to(tree.place)}\n" for path in sorted(tree.place.rglob("*")))
		with open(image, "wb") as file:
			subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=place, input=names.encode(), stdout=file,
				check=True)


def make_shared(directory, build):
	"""root.img and project.img, for all kernels."""
	# A probe may be linked with more; a static one's ldd(1) fails.
	programs = sorted((build / "bin").glob("airlock*")) + sorted((build / "test").glob("*/*fsanitize=address"))
	make_root(directory / "root.img", libraries_of(*programs))
	make_project(directory / "project.img", build)
