"""Faults put to a real gate while people read: who gets no answer, and who gets one wrongly."""
