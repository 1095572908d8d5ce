<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\Screen\Line;
use Amqp1\Console\Screen\Style;

/**
 * What the columns mean and the keys do.
 *
 * @internal
 */
final class HelpPage extends TextPage
{
    private const KEYS = [
        ['↑ ↓ j k', 'select; also Page Up, Page Down, Home, End'],
        ['Enter f', 'the failed jobs of the selected queue'],
        ['w', 'the workers that write a state file (--state-file)'],
        ['p', 'workers: pause the selected one, or let it go on'],
        ['e', 'all events, in full'],
        ['s S', 'sort by the next column; reverse'],
        ['+ -', 'ask half as often; twice as often'],
        ['Space', 'ask now'],
        ['Ctrl-L', 'draw the screen again'],
        ['q Ctrl-C', 'quit (q: on another page, back)'],
        ['Enter', 'failed jobs: show one'],
        ['r', 'failed jobs: move one back to its queue, with new attempts'],
        ['R D', 'failed jobs: move all back; delete all. Both ask first'],
        ['g', 'failed jobs: look again'],
    ];

    private const COLUMNS = [
        ['READY', 'jobs that wait for a worker'],
        ['CHANGE/S', 'how many open jobs (ready, delayed, reserved) there are more each second: what was pushed, less what was'
            . ' done. Brokers tell no more than that'],
        ['DONE/S', 'jobs that the workers of --state-file have acknowledged each second'],
        ['DELAYED', 'jobs that wait for their time'],
        ['RESERVED', 'jobs that workers have in hand'],
        ['FAILED', 'jobs in the failed queue'],
        ['OLDEST', 'how long ago the oldest job that waits became due, if a broker shows jobs without handing them out (Service'
            . ' Bus, amqp1-broker)'],
        ['CONSUMERS', 'how many consumers the broker counts'],
        ['EMPTY IN', 'when no job is left, if it goes on like this'],
        ['-', 'the broker does not tell'],
    ];

    private const NOTES = [
        'Figures are read without taking a job. Failed jobs are read only when you open their page or press g. Service Bus and'
            . ' the embedded broker show them where they are; other brokers show a job only by delivering it, so there the jobs are'
            . ' taken in hand and given back at once, and meanwhile no other consumer can have them.',
        'A worker that is paused finishes its job, returns what it has buffered to the broker, and takes no more until it is'
            . ' told to go on, or restarted. Others get its jobs. Only workers on this machine that write a state file, and run'
            . ' as your user, can be told.',
        'An answer that takes longer than 2 s is shown as late, and keys go on working. A broker that takes long to count'
            . ' is asked less often.',
    ];

    protected function title(): string
    {
        return 'amqp1 top: help';
    }

    protected function text(int $columns): array
    {
        $all = [Line::of('Keys', Style::Head)];
        foreach (self::KEYS as [$key, $meaning]) {
            array_push($all, ...self::labelled("  $key", $meaning, $columns));
        }
        array_push($all, Line::of(), Line::of('Columns', Style::Head));
        foreach (self::COLUMNS as [$column, $meaning]) {
            array_push($all, ...self::labelled("  $column", $meaning, $columns));
        }
        foreach (self::NOTES as $note) {
            array_push($all, Line::of(), ...self::paragraph($note, $columns));
        }

        return $all;
    }
}
