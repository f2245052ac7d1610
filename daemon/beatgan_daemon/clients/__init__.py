"""The other end: who subscribes, asks and acknowledges, as commands; and all of it in one."""
