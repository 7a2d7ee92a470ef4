"""Real-time chat: rooms with provable logs, over WebSockets."""
