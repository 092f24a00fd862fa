-- Auditors look for events by type, actor and correlation.

-- +goose Up

-- One BRIN index of Bloom filters and no B-trees: events lie in the order in
-- which they were stored, and an append must not pay for what is asked seldom.
-- A B-tree costs a write to a page for each event and each column, and those of
-- corr, which is random, fill the memory of the database; this one costs
-- nothing until a range of pages is full, and then one summary, made by
-- autovacuum. It tells which ranges cannot hold a value; what is common is read
-- along the primary key anyway. Streams have events_stream_ver. Times need no
-- index: seq is the order of storing, so a moment's seq is found by halving.
CREATE INDEX events_sought ON events
    USING brin (type text_bloom_ops, actor text_bloom_ops, corr text_bloom_ops)
    WITH (pages_per_range = 64, autosummarize = on);

-- +goose Down
DROP INDEX events_sought;
