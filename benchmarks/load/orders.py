"""The typed order for every server that lets its user choose the decoder: msgspec, the fastest there is."""

from __future__ import annotations

import msgspec

__all__ = ["Address", "Customer", "Line", "Order", "Receipt", "accept", "decode_order", "encode_receipt"]


class Address(msgspec.Struct):
    street: str
    city: str
    postcode: str
    country: str


class Customer(msgspec.Struct):
    name: str
    email: str
    address: Address


class Line(msgspec.Struct):
    sku: str
    name: str
    quantity: int
    price: float


class Order(msgspec.Struct):
    id: int
    customer: Customer
    lines: list[Line]
    tags: list[str]
    note: str | None = None


class Receipt(msgspec.Struct):
    order: int
    customer: str
    city: str
    quantity: int
    total: float


def accept(order: Order) -> Receipt:
    quantity = 0
    total = 0.0
    for line in order.lines:
        quantity += line.quantity
        total += line.quantity * line.price
    return Receipt(order.id, order.customer.name, order.customer.address.city, quantity, total)


decode_order = msgspec.json.Decoder(Order).decode
encode_receipt = msgspec.json.Encoder().encode
