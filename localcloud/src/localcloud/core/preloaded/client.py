"""Starts a program from a server, and is to whoever started it what the program would be.

``python -I -S client.py SOCKET ARGUMENT…``: arguments, environment, working directory and streams go to the server at
``SOCKET``, signals to the program. It ends as the program ends, and by SIGKILL the program ends with it. What the
server can't or won't begin starts here, plainly.
"""

import contextlib
import json
import os
import signal
import socket
import sys

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def begun_with() -> dict[str, str]:
    """The variables that this process was given; where it has no locale, the interpreter itself sets one more."""
    with open("/proc/self/environ", "rb") as file:
        pairs = [os.fsdecode(pair).partition("=") for pair in file.read().split(b"\0") if pair]
    return {name: value for name, _, value in pairs}


def main() -> None:
    """Ask, and wait for the end."""
    place, *arguments = sys.argv[1:]
    os.umask(umask := os.umask(0o077))  # it can only be read by setting it
    ignored = [number for number in PASSED_ON if signal.getsignal(number) is signal.SIG_IGN]
    given = begun_with()
    request = {"arguments": arguments, "environment": given, "directory": os.getcwd(), "umask": umask}
    request["ignored"] = [int(number) for number in ignored]
    try:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.connect(place)
        document = json.dumps(request).encode()
        head = f"{len(document)}\n".encode()
        socket.send_fds(server, [head], [0, 1, 2])
        server.sendall(document)
        answers = server.makefile("rb")
        begun = json.loads(answers.readline() or b"{}")
    except OSError:
        begun = {}
    if "process" not in begun:
        os.execve(sys.executable, [sys.executable, *arguments], given)
    for number in set(PASSED_ON).difference(ignored):
        signal.signal(number, lambda number, _: server.send(bytes([number])))
    end = json.loads(answers.readline() or b"{}")
    if "status" not in end:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(begun["process"], signal.SIGKILL)
        sys.exit(f"the process that {' '.join(arguments[:2])} was started from has ended, and it with it")
    status = end["status"]
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no other handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main()
