"""The page for people, /shim/: the models and their states, who waits, what happened, buttons, logs.
Served by `middleware.app` or `middleware.mux.app` on a port of its own, on loopback, where it is asked for.
"""
