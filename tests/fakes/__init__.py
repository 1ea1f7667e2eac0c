"""What stands in for the real parts in tests that need speed, or faults that a real engine cannot be made to have."""
