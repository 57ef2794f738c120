"""A process that says the bytes it is given as hexadecimal digits, and waits."""

import sys

sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))
sys.stdout.flush()
input()
