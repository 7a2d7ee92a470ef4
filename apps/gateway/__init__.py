"""The gateway's example: ``python -m apps.gateway`` starts three users apps and a gateway before them."""
