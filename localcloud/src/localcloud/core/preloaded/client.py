"""Starts a program from a server, and is to whoever started it what the program would be.

``python -I -S client.py SOCKET OPTIONS ARGUMENT…``: arguments, environment, working directory and streams go to the
server at ``SOCKET``, signals to the program. It ends as the program ends, and by SIGKILL the program ends with it. What
the server can't or won't begin starts here, plainly, with the interpreter's OPTIONS, between which are commas.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def begun_with() -> dict[str, str]:
    """The variables that this process was given; where it has no locale, the interpreter itself sets one more."""
    with open("/proc/self/environ", "rb") as file:
        pairs = [os.fsdecode(pair).partition("=") for pair in file.read().split(b"\0") if pair]
    return {name: value for name, _, value in pairs}


def owner(place: str) -> int | None:
    """What can be read when the process has ended that programs end with; None where the server is that process's own.

    It is a pipe beside the socket that the process alone writes to.
    """
    try:
        return os.open(os.path.join(os.path.dirname(place), "alive"), os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None


def has_ended(alive: int) -> bool:
    """Whether nobody writes there any more. Where nobody did when it was opened, only reading tells: no wait ends."""
    try:
        return os.read(alive, 1) == b""
    except BlockingIOError:
        return False


def heard(server: socket.socket, said: bytes = b"", alive: int | None = None) -> tuple[dict[str, int], bytes]:
    """What the server says next, nothing where it or the program's owner is gone; and what it has said beyond that."""
    waits = [server.fileno()] if alive is None else [server.fileno(), alive]
    while b"\n" not in said:
        ready, _, _ = select.select(waits, [], [])
        part = server.recv(4096) if server.fileno() in ready else b""
        if not part:
            return {}, b""
        said += part
    line, _, beyond = said.partition(b"\n")
    return json.loads(line), beyond


def main() -> None:
    """Ask, and wait for the end."""
    place, options, *arguments = sys.argv[1:]
    os.umask(umask := os.umask(0o077))  # it can only be read by setting it
    ignored = [number for number in PASSED_ON if signal.getsignal(number) is signal.SIG_IGN]
    given = begun_with()
    request = {"arguments": arguments, "environment": given, "directory": os.getcwd(), "umask": umask}
    request["ignored"] = [int(number) for number in ignored]
    # From here on the program may run, so what arrives is for the program: it waits until it can be passed on.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    try:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.connect(place)
        document = json.dumps(request).encode()
        head = f"{len(document)}\n".encode()
        socket.send_fds(server, [head], [0, 1, 2])
        server.sendall(document)
        begun, said = heard(server)
    except OSError:
        begun, said = {}, b""
    if "process" not in begun:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execve(sys.executable, [sys.executable, *filter(None, options.split(",")), *arguments], given)
    # The number goes to the server where the signal arrives. Python's own handlers would run when the wait below ends,
    # which for a signal that arrives just before it is the program's end.
    server.setblocking(False)
    signal.set_wakeup_fd(server.fileno(), warn_on_full_buffer=False)
    for number in set(PASSED_ON).difference(ignored):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    alive = owner(place)
    end = {} if alive is not None and has_ended(alive) else heard(server, said, alive)[0]
    signal.set_wakeup_fd(-1)
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
