-- What multilingual = true tells of each segment.

alter table segments add column language text;
