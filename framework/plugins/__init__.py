"""Plugins that ship. Each is a package of its own; they meet only through the types that they inject."""
