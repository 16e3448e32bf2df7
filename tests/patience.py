"""How long tests wait for what must happen: far beyond what it takes, since the machines they run on are shared."""

#: Longest wait for one thing, in seconds; well below the time a whole test may take, so that what was awaited is named.
PATIENCE_S = 60.0
