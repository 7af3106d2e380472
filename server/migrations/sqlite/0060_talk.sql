-- Until when a session has paid for being talked to, beside `paid_until_ms`: a minute of text does not pay for the voice.
ALTER TABLE sessions ADD COLUMN talk_paid_until_ms INTEGER NOT NULL DEFAULT 0;
