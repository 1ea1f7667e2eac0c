"""supervisord 4.3.0 with what a container needs: exit code, last words, whole output lines, kept sockets, no orphans.

`python -m supervision -c supervisord.conf` is PID 1 of the container; `shims` turns itself into it with execve.
"""
