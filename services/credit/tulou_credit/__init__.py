"""Public credit (公共信用): the rules so far. Nothing serves them yet."""
