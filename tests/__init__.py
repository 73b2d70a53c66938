"""Tests of the gate. Names state the rule that holds."""
