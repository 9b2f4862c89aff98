# SPDX-License-Identifier: MIT
"""Which of CPython's tests are borrowed. Module: patterns of its cases; none: all of them."""
import os
import sysconfig

TESTS = os.path.join(sysconfig.get_path("stdlib"), "test/test_asyncio")

CONNECTIONS = ["*Connection*", "*Listener*", "*TestPoll*", "*RemoteManager*", "*ManagerRestart*", "*TestWait*"]
LOGGERS = ["*SocketHandler*", "*SysLogHandler*", "*HTTPHandler*", "*SMTPHandler*", "*ConfigDictTest*listen*"]

# Each of these must connect through hostd.
SOCKETS = {
	"test_socket": [],
	"test_ssl": [],
	"test_httplib": [],
	"test_httpservers": [],
	"test_socketserver": [],
	"test_epoll": [],
	"test_ftplib": [],
	"test_smtplib": [],
	"test_imaplib": [],
	"test_poplib": [],
	"test_nntplib": [],
	"test_telnetlib": [],
	"test_urllib2_localnet": [],
	"test_robotparser": ["*PasswordProtectedSiteTestCase*"],
	"test_xmlrpc": [],
	"test_docxmlrpc": [],
	"test_wsgiref": [],
	"test_asyncore": [],
	"test_asynchat": [],
	"test_logging": LOGGERS,
	"test_multiprocessing_fork": CONNECTIONS,
	"test_multiprocessing_spawn": CONNECTIONS,
	"test_multiprocessing_forkserver": CONNECTIONS,
}

# Descriptors, processes, signals and threads of programs under the library.
OTHERS = dict.fromkeys(["test_select", "test_poll", "test_selectors", "test_eintr", "test_fcntl", "test_file", "test_fileio",
	"test_fork1", "test_io", "test_os", "test_posix", "test_pty", "test_shutil", "test_signal", "test_subprocess",
	"test_tempfile", "test_threading"], [])

# test_socketserver asks for "the network" and uses loopback only; where it runs there is nothing else.
RESOURCES = {"test_socketserver": "network"}


def asyncio_modules():
	"""test_asyncio is a package: each of its modules is one here."""
	names = sorted(os.listdir(TESTS))
	return [f"test_asyncio.{name[:-3]}" for name in names
		if name.startswith("test_") and name.endswith(".py") and "windows" not in name]


def every():
	return {**SOCKETS, **dict.fromkeys(asyncio_modules(), []), **OTHERS}


# Three minutes on two idle cores; the longest first.
SHORT = """
	test_asyncio.test_events test_socket test_ssl test_ftplib test_asyncio.test_sendfile test_asyncio.test_sock_lowlevel
	test_asyncio.test_streams test_asyncio.test_sslproto test_asyncio.test_unix_events test_asyncio.test_server test_asyncore
	test_asynchat test_httplib test_httpservers test_socketserver test_urllib2_localnet test_xmlrpc test_epoll test_poll
	test_select test_fcntl
""".split()
