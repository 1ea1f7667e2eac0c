"""An hour's worth of trouble in a minute, over the stand-in engine: `python -m tests.chaos --seed 7`."""
