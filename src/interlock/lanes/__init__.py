"""The kinds of work: one folder per lane, plus what lanes of one family share."""
