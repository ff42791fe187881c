"""Notes (留言): people write them and read them again."""
