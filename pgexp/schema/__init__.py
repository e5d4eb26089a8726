"""What a run is: its typed config, its identity, its random streams, and the names under which it is recorded."""
