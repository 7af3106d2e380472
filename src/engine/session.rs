//! Token, outbox, channel (framing, order, duplicates), backoff: small pure machines that the phases own.
