"""What helps to test studies and tasks, for users too: a contract that tasks keep, and replays of learning curves."""
