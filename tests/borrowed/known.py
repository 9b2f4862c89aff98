# SPDX-License-Identifier: MIT
"""Cases whose result with Airlock is another, and why. An entry whose cases pass both ways is an error, except with
a reason of SOMETIMES, where it depends on which process runs first."""

OTHER_SOURCE = "the server sees hostd's port, not the one that the client's getsockname() tells"
NO_URGENT_DATA = "MSG_OOB is not carried"
NO_ABORT = "close() with an SO_LINGER of 0 is an orderly end to the destination"
MORE_IN_FLIGHT = "hostd and the stream hold more than TCP with a small SO_SNDBUF, so the sender gets rid of more"
TWO_STEPS = "what passes hostd arrives a little later, and not on both sides at once"

DIFFERENCES = {
	"test.test_ssl.ThreadedTests.test_server_accept": OTHER_SOURCE,
	"test.test_asyncio.test_sock_lowlevel.*.test_sock_accept": OTHER_SOURCE,
	"test.test_ftplib.TestFTPClass.test_abort": NO_URGENT_DATA,
	"test.test_asyncore.TestAPI_UseIPv*.test_handle_expt": NO_URGENT_DATA,
	"test.test_ssl.TestPreHandshakeClose.test_preauth_data_to_tls_server": NO_ABORT,
	"test.test_asyncio.test_sendfile.*.test_sendfile_close_peer_in_the_middle_of_receiving": MORE_IN_FLIGHT,
	"test.test_asyncio.test_sendfile.*.test_sendfile_fallback_close_peer_in_the_middle_of_receiving": MORE_IN_FLIGHT,
	"test.test_socket.*.testWriteNonBlocking": MORE_IN_FLIGHT,
	"test.test_epoll.TestEPoll.test_control_and_wait": TWO_STEPS,
	"test.test_epoll.TestEPoll.test_fromfd": TWO_STEPS,
	"test.test_asyncore.TestAPI_UseIPv*.test_connection_attributes": TWO_STEPS,
}

SOMETIMES = {MORE_IN_FLIGHT, TWO_STEPS}
