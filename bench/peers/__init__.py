"""The same work done by hand, without Steward: what there is to be measured against."""
