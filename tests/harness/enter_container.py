"""Becomes a container's first process; see container.py. Run by `unshare`, in new
namespaces: enter_container.py {"root", "user", "mounts", "env", "program", ...}.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys

DEVICES = ("null", "zero", "random", "urandom")
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def mount_root(root: str, mounts: dict[str, str]) -> None:
    """The root read-only; over it /proc, four devices, and what else is asked for."""
    for place in mounts.values():
        os.makedirs(root + place, exist_ok=True)
    mount("--bind", root, root)
    mount("-o", "remount,bind,ro,nosuid,nodev", root)
    mount("-t", "proc", "-o", "ro", "proc", root + "/proc")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root + "/dev")
    for device in DEVICES:
        open(f"{root}/dev/{device}", "w").close()
        mount("--bind", f"/dev/{device}", f"{root}/dev/{device}")
    mount("-o", "remount,ro", root + "/dev")
    for folder, place in mounts.items():
        mount("--bind", folder, root + place)


def bring_loopback_up() -> None:
    """A new network's is down, and `ip` need not be installed."""
    with socket.socket() as any_socket:
        request = struct.pack("16sH14x", b"lo", IFF_UP)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


def prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def become(user: str) -> None:
    """The user, with nothing to come back by."""
    with open("/proc/sys/kernel/cap_last_cap") as file:
        last = int(file.read())
    for capability in range(last + 1):
        prctl(PR_CAPBSET_DROP, capability)
    uid, gid = map(int, user.split(":"))
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def main() -> None:
    told = json.loads(sys.argv[1])
    if told["own_network"]:
        bring_loopback_up()
    mount_root(told["root"], told["mounts"])
    os.chroot(told["root"])
    os.chdir("/")
    become(told["user"])
    os.execve(told["program"][0], told["program"], told["env"])


if __name__ == "__main__":
    main()
