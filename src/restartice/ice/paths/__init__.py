"""Spare paths: which ones to keep ready, and when to switch to one."""
