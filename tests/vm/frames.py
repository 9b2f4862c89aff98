# SPDX-License-Identifier: MIT
"""What tests/vm/in_guest, the tests outside and tests/vm/agent.py in the guest say to each other.

A frame is a command's number, a kind and a payload:

  to the guest     FILES (a piece of a tar archive), then RUN (JSON: see Command in agent.py), INPUT (nothing: its
                   end), SIGNAL (a number), ABANDON
  from the guest   READY once, OUTPUT, ERRORS, FILES, ENDED (subprocess's returncode)
"""
import struct

READY, FILES, RUN, INPUT, SIGNAL, ABANDON, OUTPUT, ERRORS, ENDED = range(9)
PIECE = 1 << 15  # of a payload; larger ones are for frames that are rare
_HEADER = struct.Struct("<IBI")


def pack(number, kind, payload=b""):
	return _HEADER.pack(number, kind, len(payload)) + payload


class Parser:
	def __init__(self):
		self._data = bytearray()

	def feed(self, data):
		"""Yields (number, kind, payload) of each frame that is now complete."""
		self._data += data
		while len(self._data) >= _HEADER.size:
			number, kind, length = _HEADER.unpack_from(self._data)
			end = _HEADER.size + length
			if len(self._data) < end:
				return
			payload = bytes(self._data[_HEADER.size:end])
			del self._data[:end]
			yield number, kind, payload
