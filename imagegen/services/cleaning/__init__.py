"""Cleaning up: what nobody needs any more is found, reported and removed, duty by duty.

Nothing that a person made is removed unless a person has put it into the trash. Events of jobs stay as long as their
job: its stream promises them from the first one on.
"""
