"""The measurements that the README quotes: `make bench` runs `python -m bench`. NOTES.md says how to read them."""
