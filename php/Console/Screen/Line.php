<?php

declare(strict_types=1);

namespace Amqp1\Console\Screen;

use Amqp1\Console\Output;
use Amqp1\Console\Text;

/**
 * One line of a screen: texts and what each of them means. Nothing in it can move the cursor.
 *
 * @internal
 */
final class Line
{
    /** @var list<array{string, Style}> */
    private array $parts = [];

    public static function of(string $text = '', Style $style = Style::Plain): self
    {
        return (new self())->add($text, $style);
    }

    /** @return $this */
    public function add(string $text, Style $style = Style::Plain): self
    {
        if ($text !== '') {
            $this->parts[] = [Output::printable($text), $style];
        }

        return $this;
    }

    /** The same in one style, as the line that is selected has it. */
    public function all(Style $style): self
    {
        return self::of($this->text(), $style);
    }

    public function text(): string
    {
        return implode('', array_column($this->parts, 0));
    }

    /** For a terminal with so many columns: cut to them, and blank up to the last one. */
    public function rendered(int $columns, bool $colours): string
    {
        $line = '';
        $selected = Style::Plain;
        foreach ($this->parts as [$text, $style]) {
            $text = Text::cut($text, $columns);
            $columns -= Text::width($text);
            $rendition = $style->rendition($colours);
            $line .= $rendition === '' ? $text : "\e[{$rendition}m$text\e[m";
            $selected = $style;
        }
        $space = str_repeat(' ', max(0, $columns));

        return $selected === Style::Selected ? $line . "\e[7m$space\e[m" : $line . $space;
    }
}
