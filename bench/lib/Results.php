<?php

declare(strict_types=1);

namespace Amqp1\Bench;

use RuntimeException;

/** What a run found: conditions and rows. As JSON, so that tables and pictures can be made again. */
final class Results
{
    /** @var array<string, Row> by id */
    public array $rows = [];

    /** @param array<string, mixed> $conditions the machine and the software */
    public function __construct(public array $conditions)
    {
    }

    public function add(Row $row): void
    {
        $this->rows[$row->id] = $row;
    }

    /** @return array<string, list<string>> id => the units of the figures that miss their target */
    public function missed(): array
    {
        return array_filter(array_map(static fn (Row $row) => $row->missed(), $this->rows));
    }

    /** The client that most rows compare with. */
    public function reference(): string
    {
        $counts = array_count_values(array_map(static fn (Row $row) => $row->reference, $this->rows));
        arsort($counts);

        return (string) array_key_first($counts);
    }

    /** @return array<string, string> id => why the row was not measured to its end */
    public function failed(): array
    {
        return array_filter(array_map(static fn (Row $row) => $row->failure, $this->rows), 'is_string');
    }

    public function save(string $file): void
    {
        @mkdir(dirname($file), 0777, true);
        $rows = array_map(static fn (Row $row) => $row->toArray(), array_values($this->rows));
        $json = json_encode(['conditions' => $this->conditions, 'rows' => $rows], JSON_PRETTY_PRINT | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR);
        if (file_put_contents($file, "$json\n") === false) {
            throw new RuntimeException("cannot write $file");
        }
    }

    /** @param non-empty-list<string> $files the rows of a later one replace those of an earlier one; the conditions are the last one's */
    public static function load(array $files): self
    {
        $results = new self([]);
        foreach ($files as $file) {
            $data = json_decode((string) @file_get_contents($file), true) ?? throw new RuntimeException("$file is missing, or not JSON");
            $results->conditions = $data['conditions'];
            foreach ($data['rows'] as $row) {
                $results->add(Row::fromArray($row));
            }
        }

        return $results;
    }
}
