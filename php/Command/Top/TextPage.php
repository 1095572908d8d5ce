<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\Output;
use Amqp1\Console\Screen\Line;
use Amqp1\Console\Screen\Style;
use Amqp1\Console\Text;

/**
 * A page of text that can be longer than the screen.
 *
 * @internal
 */
abstract class TextPage implements Page
{
    private const LABEL = 12;

    private int $first = 0;
    private int $height = 1;

    public function __construct(protected readonly Desk $desk)
    {
    }

    abstract protected function title(): string;

    /** @return list<Line> */
    abstract protected function text(int $columns): array;

    public function lines(int $columns, int $rows, float $now): array
    {
        $all = $this->text($columns);
        $this->height = max(1, $rows - 1);
        $this->first = max(0, min($this->first, count($all) - $this->height));
        $title = Line::of($this->title(), Style::Title);
        if (count($all) > $this->height) {
            $title->add('  lines ' . ($this->first + 1) . '-' . ($this->first + $this->height) . ' of ' . count($all), Style::Dim);
        }

        return [$title, ...array_slice($all, $this->first, $this->height)];
    }

    public function key(string $key): void
    {
        $this->first = match ($key) {
            'up', 'k' => $this->first - 1,
            'down', 'j' => $this->first + 1,
            'page-up' => $this->first - $this->height,
            'page-down', ' ' => $this->first + $this->height,
            'home' => 0,
            'end' => PHP_INT_MAX,
            default => $this->first,
        };
        if (in_array($key, ['escape', 'left', 'q', 'backspace', 'enter'], true)) {
            $this->desk->back();
        }
    }

    public function hints(): array
    {
        return ['Esc back', '↑↓ scroll'];
    }

    /** @return list<Line> */
    protected static function paragraph(string $text, int $columns, Style $style = Style::Plain): array
    {
        return array_map(static fn (string $line) => Line::of($line, $style), Text::wrap($text, max(10, $columns)));
    }

    /** @return list<Line> the label only before the first */
    protected static function labelled(string $label, string $text, int $columns): array
    {
        $lines = [];
        foreach (Text::wrap(Output::printable($text, true), max(10, $columns - self::LABEL)) as $index => $part) {
            $lines[] = Line::of(Text::fit($index === 0 ? $label : '', self::LABEL - 1) . ' ', Style::Dim)->add($part);
        }

        return $lines;
    }
}
