"""The gateway beside other proxies: rates, CPU, latency that is added, memory of streams and tunnels."""
