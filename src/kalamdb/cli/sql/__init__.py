"""The shell: statements from arguments, files, pipes and people, and their answers."""
