"""Damaged files for every reader: made from sound ones, read in processes whose memory and time are bounded."""
