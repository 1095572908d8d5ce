<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\Output;
use Amqp1\Console\Screen\Line;
use Amqp1\Console\Screen\Style;
use Amqp1\Console\Text;
use Closure;

/**
 * One failed job as it was when the page before looked: why it failed, its headers and its payload.
 *
 * @internal
 */
final class JobPage extends TextPage
{
    /**
     * @param array<string, mixed> $job as Probe answers it
     * @param Closure(): void $retry
     */
    public function __construct(private readonly array $job, Desk $desk, private readonly Closure $retry)
    {
        parent::__construct($desk);
    }

    protected function title(): string
    {
        return 'Failed job ' . Output::cell($this->job['id']);
    }

    protected function text(int $columns): array
    {
        $lines = [];
        foreach ($this->job as $name => $value) {
            if (!is_array($value) && $value !== null && !in_array($name, ['payload', 'payload_bytes'], true)) {
                array_push($lines, ...self::labelled(strtr($name, '_', ' '), (string) $value, $columns));
            }
        }
        foreach ($this->job['headers'] as $name => $values) {
            array_push($lines, ...self::labelled('header', "$name: " . implode(', ', $values), $columns));
        }
        $payload = $this->job['payload'];
        $lines[] = Line::of();
        foreach (Text::wrap(Output::printable($payload, true), $columns) as $line) {
            $lines[] = Line::of($line);
        }
        if (strlen($payload) < $this->job['payload_bytes']) {
            $lines[] = Line::of('… of ' . Words::count($this->job['payload_bytes'], 'byte')
                . ': amqp1 failed:show prints all', Style::Dim);
        }

        return $lines;
    }

    public function key(string $key): void
    {
        if ($key === 'r') {
            // Back first: what it says belongs to the page before.
            $this->desk->back();
            ($this->retry)();

            return;
        }
        parent::key($key);
    }

    public function hints(): array
    {
        return ['Esc back', 'r retry', '↑↓ scroll', '? help'];
    }
}
