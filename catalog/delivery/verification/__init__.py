"""The verification service: whether one electronic licence is genuine and what it was on a day."""
