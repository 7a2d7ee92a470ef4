"""The users app: controller, service and repository over an embedded SQLite file.

controller -> service -> repository -> database. Each layer knows only the one below it: the controller alone
speaks HTTP, the service holds the rules and raises its own errors, the repository alone writes SQL, and the
database (the uniqueness of an e-mail, the order of writes) has the last word.
"""
