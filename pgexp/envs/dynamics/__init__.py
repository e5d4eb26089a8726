"""Dynamics written for arrays, one environment a file."""
