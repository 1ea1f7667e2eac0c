"""Several models behind one port: which model a request names, its turn, and that model's own application.
Made by `middleware.__main__` where `--models` names a specification; who is awake is `switcher`'s to say.
"""
