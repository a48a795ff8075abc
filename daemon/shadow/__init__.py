"""Shadows: copies of requests that go to a candidate, whose answers are compared and never sent."""
