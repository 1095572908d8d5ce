<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Console\Input;
use Amqp1\Console\Option;
use Amqp1\Console\Output;

/**
 * One of the things that `amqp1` can do.
 *
 * @internal
 */
abstract class Command
{
    abstract public function name(): string;

    /** One line for the list of commands. */
    abstract public function summary(): string;

    /** Its arguments, as its usage line shows them. */
    public function arguments(): string
    {
        return '';
    }

    /** What the help says besides, wrapped. */
    public function help(): string
    {
        return '';
    }

    /** @return list<Option> besides those that all commands have */
    public function options(): array
    {
        return [];
    }

    /** @return list<Option> which broker and queues it is about */
    public function brokerOptions(): array
    {
        return Target::options();
    }

    /** @return int one of ExitCode's */
    abstract public function run(Input $input, Output $output): int;
}
