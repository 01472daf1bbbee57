"""Becomes the systemd of a machine whose root is a folder; see machine.py. Run by
`unshare`, in new namespaces: enter_machine.py ROOT.
"""

import os
import stat
import subprocess
import sys

from enter_container import bring_loopback_up, mount

DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}


def mount_root(root: str) -> None:
    mount("--bind", root, root)
    mount("-t", "proc", "proc", root + "/proc")
    mount("-t", "sysfs", "-o", "ro", "sysfs", root + "/sys")
    mount("-t", "cgroup2", "cgroup2", root + "/sys/fs/cgroup")
    for folder in ("/run", "/tmp", "/dev"):
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root + folder)
    # Nodes, not mounts of them: systemd makes copies for PrivateDevices=.
    os.umask(0)
    for name, (major, minor) in DEVICES.items():
        path = f"{root}/dev/{name}"
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(major, minor))
    os.mkdir(root + "/dev/pts")
    mount(
        "-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", root + "/dev/pts"
    )
    os.symlink("pts/ptmx", root + "/dev/ptmx")
    os.umask(0o022)


def change_root(root: str) -> None:
    os.makedirs(root + "/.old", exist_ok=True)
    os.chdir(root)
    subprocess.run(["pivot_root", ".", ".old"], check=True)
    subprocess.run(["umount", "--lazy", "/.old"], check=True)


def main() -> None:
    root = sys.argv[1]
    bring_loopback_up()
    mount_root(root)
    change_root(root)
    systemd = "/lib/systemd/systemd"
    environment = {"container": "test", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    os.execve(systemd, [systemd, "--show-status=no"], environment)


if __name__ == "__main__":
    main()
