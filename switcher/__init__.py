"""Several models take turns on the same devices: who is awake, who waits, who is next.
Imported by `middleware.mux`, which serves, and `shims.models`, which writes the specification; standard library only.
"""
